// What may be a link in a model's answer, and how to show where it leads.

const SAFE_SCHEME = /^(?:https?|mailto):/i;

/** The address in its normal form, or null when it is not a whole http, https or mailto address. */
export function safeUrl(address: string): string | null {
  if (!SAFE_SCHEME.test(address) || !URL.canParse(address)) return null;
  return new URL(address).href;
}

/** An address cut in three, with the part that says who receives the click in the middle. */
export interface UrlParts {
  before: string;
  host: string;
  after: string;
}

/**
 * Cuts an address that `safeUrl` let through. The host is what the browser will really contact: not the
 * `name@` before it, and in ASCII, where look-alike letters show.
 */
export function splitUrl(address: string): UrlParts {
  const url = new URL(address);
  const host = url.protocol === "mailto:" ? url.pathname : url.host;
  // The last `@` before the path ends what a link may pretend to be.
  const from = url.protocol === "mailto:" ? url.protocol.length : address.indexOf(host, authorityStart(url));
  return { before: address.slice(0, from), host, after: address.slice(from + host.length) };
}

function authorityStart(url: URL): number {
  const scheme = `${url.protocol}//`.length;
  const user = url.password === "" ? url.username : `${url.username}:${url.password}`;
  return user === "" ? scheme : scheme + user.length + 1;
}
