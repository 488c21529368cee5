// Keeps the page up to date: one stream of events, from which the tables and the charts are renewed.

import { morph } from './morph.js';
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

let fetching = false;

async function whole() {
  if (fetching) return;
  fetching = true;
  try {
    const answer = await fetch('/api/v1/series', { headers: { accept: 'application/json' } });
    if (answer.ok) take(await answer.json(), true);
  } catch {
    // The stream's own error says that the connection is gone; its next opening fetches again.
  } finally {
    fetching = false;
  }
}

function say(text, stale) {
  state.textContent = text;
  state.classList.toggle('stale', stale);
  live.classList.toggle('stale', stale);
}

const stream = new EventSource('/api/v1/events');
stream.addEventListener('open', () => {
  whole();
  say('live', false);
});
stream.addEventListener('page', (event) => {
  morph(live, event.data);
  const worries = live.querySelectorAll('tr.warning, tr.bad').length;
  document.title = worries ? `(${worries}) Ambidex` : 'Ambidex';
  say('live', false);
});
stream.addEventListener('points', (event) => {
  if (!take(JSON.parse(event.data), false)) whole();
});
stream.addEventListener('error', () => say('connection lost: these are the last known figures', true));
