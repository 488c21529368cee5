// Weights over time above latencies over time, on one cursor: two uPlot charts a pool, and one row of keys.

const SECONDS = 900;
const LIGHT = ['#2f6f8f', '#c9722b', '#4d8a4a', '#a0457a', '#7a6bb8', '#8a7a2a', '#2a8a80', '#b04a4a'];
const DARK = ['#6bb3d6', '#eaa15c', '#86c57f', '#dc86b6', '#ab9fe6', '#cfc06a', '#62c9bc', '#ea8a86'];
const DASHES = [[], [6, 4], [2, 3]];

const SHARES = { range: (_, __, most) => [0, (most || 1) * 1.1] };
// Logarithmic: a worker a hundred times slower than the others must not flatten them to a line.
const LATENCIES = {
  distr: 3,
  range: (_, least, most) => {
    const from = decade(Math.floor, least || 1);
    return [from, Math.max(decade(Math.ceil, most || 1), from * 10)];
  },
};

const dark = matchMedia('(prefers-color-scheme: dark)');
const pools = new Map();

dark.addEventListener('change', () => pools.forEach((pool) => pool.draw()));
addEventListener('resize', () => pools.forEach((pool) => pool.resize()));

// Takes whole series, or what came since. False when the workers are others than those drawn: all must be fetched again.
export function take(charts, whole) {
  let fits = true;
  for (const news of charts.pools) {
    const element = [...document.querySelectorAll('.charts')].find((found) => found.dataset.pool === news.pool);
    if (!element) continue;
    let pool = pools.get(news.pool);
    if (!pool || pool.element !== element || whole) {
      pool?.destroy();
      pool = new Pool(element);
      pools.set(news.pool, pool);
    }
    fits = pool.take(news, whole) && fits;
  }
  return fits;
}

class Pool {
  constructor(element) {
    this.element = element;
    this.plots = [];
    this.shown = new Map();
  }

  take(news, whole) {
    if (whole) {
      this.names = news.workers;
      this.seconds = news.seconds;
      this.weights = news.weights;
      this.latencies = news.latencies;
      this.draw();
      return true;
    }
    if (!this.names || this.names.join('\n') !== news.workers.join('\n')) return false;
    const last = this.seconds.at(-1) ?? 0;
    const from = news.seconds.findIndex((second) => second > last);
    if (from < 0) return true;
    append(this.seconds, news.seconds, from);
    this.names.forEach((_, at) => {
      append(this.weights[at], news.weights[at], from);
      append(this.latencies[at], news.latencies[at], from);
    });
    // Under the reader's cursor the picture stands still.
    if (!this.held) this.plots.forEach((plot, at) => plot.setData(this.data(at)));
    return true;
  }

  data(at) {
    return [this.seconds, ...(at === 0 ? this.weights : this.latencies)];
  }

  draw() {
    this.destroy();
    this.element.hidden = this.names.length === 0;
    if (this.element.hidden) return;
    this.keys();
    const sync = uPlot.sync(`pool ${this.element.dataset.pool}`);
    const places = [this.element.querySelector('.weights'), this.element.querySelector('.latencies')];
    this.plots = places.map((place, at) => new uPlot(this.options(place, at, sync), this.data(at), place));
    this.element.dataset.drawn = this.plots.length;
  }

  options(place, at, sync) {
    const style = getComputedStyle(this.element);
    const ink = style.getPropertyValue('--muted').trim();
    const grid = { stroke: style.getPropertyValue('--line').trim(), width: 1 };
    const axis = { stroke: ink, grid, ticks: { show: false }, font: '12px system-ui, sans-serif' };
    const line = (name, index) => ({
      label: name,
      stroke: color(index),
      width: 1.75,
      dash: DASHES[Math.floor(index / LIGHT.length) % DASHES.length],
      points: { show: false },
      spanGaps: false,
      show: this.shown.get(name) ?? true,
    });
    return {
      width: width(place),
      height: at === 0 ? 180 : 200,
      padding: [8, 28, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: sync.key, setSeries: false },
        y: false,
        drag: { x: true, y: false },
        points: { size: 6 },
        bind: {
          mouseenter: (_, __, go) => (event) => ((this.held = true), go(event)),
          mouseleave: (_, __, go) => (event) => ((this.held = false), go(event)),
        },
      },
      scales: { y: at === 0 ? SHARES : LATENCIES },
      axes: [
        { ...axis, values: clock, size: 26, space: 80, gap: 6 },
        { ...axis, size: 52, grid: at === 0 ? grid : { ...grid, filter: decades } },
      ],
      series: [{}, ...this.names.map(line)],
      hooks: { setCursor: [(plot) => this.read(plot)] },
    };
  }

  // The row of keys: name, and the values under the cursor, else the newest. A click hides or shows a worker's lines.
  keys() {
    const row = this.element.querySelector('.chart-keys');
    row.replaceChildren(
      ...this.names.map((name, index) => {
        const key = document.createElement('button');
        key.type = 'button';
        const swatch = document.createElement('i');
        swatch.style.setProperty('background', color(index));
        const figure = document.createElement('span');
        key.append(swatch, name, figure);
        key.setAttribute('aria-pressed', this.shown.get(name) ?? true);
        key.addEventListener('click', () => this.toggle(name, index, key));
        return key;
      }),
    );
    this.figures = [...row.querySelectorAll('span')];
  }

  toggle(name, index, key) {
    const show = !(this.shown.get(name) ?? true);
    this.shown.set(name, show);
    key.setAttribute('aria-pressed', show);
    this.plots.forEach((plot) => plot.setSeries(index + 1, { show }));
  }

  read(plot) {
    const at = plot.cursor.idx;
    this.figures?.forEach((figure, index) => {
      const weight = at == null ? null : this.weights[index][at];
      const latency = at == null ? null : this.latencies[index][at];
      const parts = [weight == null ? '' : weight.toFixed(2), latency == null ? '' : `${digits(latency)} ms`];
      figure.textContent = parts.filter(Boolean).join(' / ');
    });
  }

  resize() {
    this.plots.forEach((plot) => plot.setSize({ width: width(plot.root.parentElement), height: plot.height }));
  }

  destroy() {
    this.plots.forEach((plot) => plot.destroy());
    this.plots = [];
  }
}

function append(column, news, from) {
  for (let at = from; at < news.length; at += 1) column.push(news[at]);
  if (column.length > SECONDS) column.splice(0, column.length - SECONDS);
}

function color(index) {
  const palette = dark.matches ? DARK : LIGHT;
  return palette[index % palette.length];
}

function decade(round, value) {
  return 10 ** round(Math.log10(Math.max(value, 1e-3)));
}

// Lines at 1, 10, 100 and so on only.
function decades(_, splits) {
  return splits.map((value) => (Math.abs(Math.log10(value) % 1) < 1e-9 ? value : null));
}

function width(place) {
  return Math.max(200, place.clientWidth);
}

function digits(value) {
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

// Times of day, UTC like everything else on the page.
function clock(_, splits) {
  return splits.map((second) => new Date(second * 1000).toISOString().slice(11, second % 60 ? 19 : 16));
}
