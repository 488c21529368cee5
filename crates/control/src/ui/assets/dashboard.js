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
  const stream = new EventSource('/ui/events');
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

function renewed() {
  const worries = live.querySelectorAll('tr.warning, tr.bad').length;
  document.title = worries ? `(${worries}) Ambidex` : 'Ambidex';
  say(`live, ${live.querySelector('#attention').dataset.asOf} UTC`, false);
}

// Approvals: the token is asked for once and kept for this tab only.
live.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-approve]');
  if (!button) return;
  const token = sessionStorage.getItem('token') ?? prompt('The admin token (in the data folder of the process):');
  if (!token) return;
  const [number, ...pool] = button.dataset.approve.split('/').reverse();
  const path = `/api/v1/pools/${encodeURIComponent(pool.reverse().join('/'))}/approve/${number}`;
  button.disabled = true;
  const headers = { authorization: `Bearer ${token.trim()}` };
  const answer = await fetch(path, { method: 'POST', headers }).catch(() => null);
  if (answer?.ok) {
    sessionStorage.setItem('token', token.trim());
    return;
  }
  sessionStorage.removeItem('token');
  button.disabled = false;
  const said = await answer?.json().catch(() => null);
  alert(said?.error ?? 'The gateway did not answer: nothing was approved.');
});

function say(text, stale) {
  // Read aloud when the connection goes, not once a second.
  if (stale) state.setAttribute('role', 'alert');
  else state.removeAttribute('role');
  state.textContent = text;
  root.classList.toggle('stale', stale);
}
