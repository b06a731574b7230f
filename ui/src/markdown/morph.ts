// Brings nodes on screen to a new state by changing as little as possible: while an answer streams, selected
// text stays selected and scrolled code stays where it is.

export function morph(target: Node, wanted: Node): void {
  let current = target.firstChild;
  for (const next of [...wanted.childNodes]) {
    if (!current) {
      target.appendChild(next);
      continue;
    }
    const following: ChildNode | null = current.nextSibling;
    if (isSameKind(current, next)) update(current, next);
    else target.replaceChild(next, current);
    current = following;
  }
  while (current) {
    const following: ChildNode | null = current.nextSibling;
    current.remove();
    current = following;
  }
}

function isSameKind(current: Node, next: Node): boolean {
  return current.nodeType === next.nodeType && current.nodeName === next.nodeName;
}

function update(current: Node, next: Node): void {
  if (current instanceof CharacterData && next instanceof CharacterData) {
    // Only what is new is written, so that a selection inside the rest is not lost.
    if (next.data.startsWith(current.data)) {
      if (next.data.length > current.data.length) current.appendData(next.data.slice(current.data.length));
    } else current.data = next.data;
    return;
  }
  if (current instanceof Element && next instanceof Element) {
    // The web view compares far faster than the walk below.
    if (current.isEqualNode(next)) return;
    for (const { name } of [...current.attributes]) if (!next.hasAttribute(name)) current.removeAttribute(name);
    for (const { name, value } of [...next.attributes]) {
      if (current.getAttribute(name) !== value) current.setAttribute(name, value);
    }
    morph(current, next);
  }
}
