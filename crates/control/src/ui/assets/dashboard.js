// Keeps the page up to date: one stream of events, from which the tables and the charts are renewed.

import { morph, morphPart } from './morph.js';
import { take } from './charts.js';

const root = document.documentElement;
const state = document.getElementById('state');
const live = document.getElementById('live');

// Counted where a test, and a curious operator, can read it.
root.dataset.violations = '0';
document.addEventListener('securitypolicyviolation', (event) => {
  root.dataset.violations = Number(root.dataset.violations) + 1;
  root.dataset.violation = `${event.violatedDirective} ${event.blockedURI}`;
});

// The first points of a connection are all of them: the last quarter of an hour.
let whole = true;

function connect() {
  const stream = new EventSource(live.dataset.events);
  stream.addEventListener('open', () => {
    whole = true;
  });
  stream.addEventListener('page', (event) => {
    morph(live, event.data);
    renewed();
  });
  stream.addEventListener('part', (event) => {
    morphPart(event.data);
    renewed();
  });
  stream.addEventListener('points', async (event) => {
    const fits = take(JSON.parse(event.data), whole);
    whole = false;
    if (!fits) await renew();
  });
  stream.addEventListener('error', () => {
    say('connection lost: these are the last known figures', true);
    // A browser comes back by itself after a broken connection, but not after a refusal.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 5000);
  });
}

connect();

// Workers came or went: the columns are others.
async function renew() {
  const answer = await fetch('/ui/series', { headers: { accept: 'application/json' } }).catch(() => null);
  if (answer?.ok) take(await answer.json(), true);
}

// Of workers and publishers on the first page, of findings on the doctor's.
const WORRIES = '.workers:not(.left) :is(tr.warning, tr.bad), .finding:is(.warning, .bad)';

function renewed() {
  const worries = live.querySelectorAll(WORRIES).length;
  document.title = worries ? `(${worries}) ${root.dataset.title}` : root.dataset.title;
  say(`live, ${live.querySelector('[data-as-of]').dataset.asOf} UTC`, false);
}

// Orders: the token is asked for once and kept for this tab only.
live.addEventListener('click', async (event) => {
  const approve = event.target.closest('button[data-approve]');
  if (approve) {
    const [number, ...pool] = approve.dataset.approve.split('/').reverse();
    await order([approve], `/api/v1/pools/${encodeURIComponent(pool.reverse().join('/'))}/approve/${number}`);
  }
  const shards = event.target.closest('button[data-shard-order]');
  if (shards) {
    const { keyspace, proposal, move } = shards.closest('[data-keyspace]').dataset;
    const path = `/api/v1/keyspaces/${encodeURIComponent(keyspace)}/${shards.dataset.shardOrder}`;
    const buttons = shards.closest('[data-keyspace]').querySelectorAll('button');
    await order(buttons, path, proposal ? { proposal } : { move });
  }
  const button = event.target.closest('button[data-order]');
  if (button) {
    const card = button.closest('[data-review]');
    const said = (name) => card.querySelector(`input[name=${name}]`).value;
    const path = `/api/v1/reviews/${card.dataset.review}/${button.dataset.order}`;
    await order(card.querySelectorAll('button'), path, { by: said('by'), why: said('why') });
  }
});

// The buttons wait for the answer; where it is good, they are gone with the next picture.
async function order(buttons, path, body) {
  const token = sessionStorage.getItem('token') ?? prompt('The admin token (in the data folder of the process):');
  if (!token) return;
  buttons.forEach((button) => (button.disabled = true));
  const headers = { authorization: `Bearer ${token.trim()}` };
  const answer = await fetch(path, { method: 'POST', headers, body: body && JSON.stringify(body) }).catch(() => null);
  if (answer?.ok) {
    sessionStorage.setItem('token', token.trim());
    return;
  }
  if (!answer || answer.status === 401) sessionStorage.removeItem('token');
  buttons.forEach((button) => (button.disabled = false));
  const said = await answer?.json().catch(() => null);
  alert(said?.error ?? 'The gateway did not answer: nothing was ordered.');
}

function say(text, stale) {
  // Read aloud when the connection goes, not once a second.
  if (stale) state.setAttribute('role', 'alert');
  else state.removeAttribute('role');
  state.textContent = text;
  root.classList.toggle('stale', stale);
}
