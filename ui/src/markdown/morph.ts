// Brings nodes on screen to a new state by changing as little as possible: while an answer streams, selected
// text stays selected and scrolled code stays where it is.

import morphdom from "morphdom";

/** Gives `target` the content of `wanted`, which is used up. */
export function morph(target: HTMLElement, wanted: DocumentFragment): void {
  const box = document.createElement("div");
  box.append(wanted);
  growTexts(target, box);
  morphdom(target, box, {
    childrenOnly: true,
    onBeforeElUpdated(current, next) {
      // The web view compares far faster than a walk does.
      if (current.isEqualNode(next)) return false;
      growTexts(current, next);
      return true;
    },
  });
}

/** Adds to each text what is new at its end. Written anew, as `morphdom` does it, it would lose the user's selection. */
function growTexts(current: Element, next: Element): void {
  let text = current.firstChild;
  for (const wanted of next.childNodes) {
    if (text instanceof Text && wanted instanceof Text && wanted.data.startsWith(text.data)) {
      text.appendData(wanted.data.slice(text.data.length));
    }
    text = text?.nextSibling ?? null;
  }
}
