// Makes a part of the page like new HTML by changing only what differs, so that focus, selection, scrolling and opened
// details stay. Elements with `data-keep` are the script's own: they are left as they are.

// The children of `target` become those in `html`.
export function morph(target, html) {
  children(target, parsed(html));
}

// The one element in `html` replaces the one with its id.
export function morphPart(html) {
  const want = parsed(html).firstElementChild;
  const old = document.getElementById(want.id);
  if (old) node(old, want);
}

function parsed(html) {
  const wanted = document.createElement('template');
  wanted.innerHTML = html;
  return wanted.content;
}

function children(old, fresh) {
  const byId = new Map();
  for (const child of old.children) if (child.id) byId.set(child.id, child);
  let at = old.firstChild;
  for (const want of [...fresh.childNodes]) {
    const known = want.id && byId.get(want.id);
    if (known && known !== at) {
      old.insertBefore(known, at);
      at = known;
    }
    if (at && alike(at, want)) {
      node(at, want);
      at = at.nextSibling;
    } else {
      old.insertBefore(want, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function alike(old, want) {
  return old.nodeType === want.nodeType && old.nodeName === want.nodeName && (old.id || '') === (want.id || '');
}

function node(old, want) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== want.nodeValue) old.nodeValue = want.nodeValue;
    return;
  }
  if (old.hasAttribute('data-keep') && old.getAttribute('data-pool') === want.getAttribute('data-pool')) return;
  const stays = (name) => name === 'open' && old.hasAttribute('data-keep-open');
  for (const { name } of [...old.attributes]) {
    if (!want.hasAttribute(name) && !stays(name)) old.removeAttribute(name);
  }
  for (const { name, value } of want.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  children(old, want);
}
