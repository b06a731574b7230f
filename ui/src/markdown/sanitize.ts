// The first wall around a model's text: of any HTML, only plain formatting comes out. The content security
// policy and the block on navigation stand behind it.

import DOMPurify, { type Config } from "dompurify";

const config: Config & { RETURN_DOM_FRAGMENT: true } = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre",
    "s", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["class", "href", "start"],
  // Every other attribute has to look like this, whether it is an address or not.
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ADD_URI_SAFE_ATTR: ["start"],
  ALLOWED_NAMESPACES: ["http://www.w3.org/1999/xhtml"],
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  ALLOW_SELF_CLOSE_IN_ATTR: false,
  SAFE_FOR_XML: true,
  // Nodes, not text: what was checked is never parsed a second time, where it could come out different.
  RETURN_DOM_FRAGMENT: true,
};

/** Classes that the parser writes; any other would borrow the look of the window. */
const CLASS = /^(?:language-[\w+#.-]+|align-(?:left|center|right)|math-(?:inline|block))$/;

// An instance of its own, so that its rules are nobody else's.
const purifier = DOMPurify(window);
purifier.addHook("uponSanitizeAttribute", (element, attribute) => {
  if (attribute.attrName === "class") {
    attribute.attrValue = attribute.attrValue.split(/\s+/).filter((name) => CLASS.test(name)).join(" ");
    attribute.keepAttr = attribute.attrValue !== "";
  }
  // An address means something on a link and nowhere else.
  if (attribute.attrName === "href" && element.localName !== "a") attribute.keepAttr = false;
});

/** Nodes that fetch nothing, run nothing and look like nothing but text. */
export function sanitize(html: string): DocumentFragment {
  return purifier.sanitize(html, config);
}
