// Imported before everything else: under the C locale WebKitGTK calls the user's language "C", which `Intl` refuses.
// A library that asks for it while it is imported would take the whole window with it.

try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en", configurable: true });
  Object.defineProperty(navigator, "languages", { value: ["en"], configurable: true });
}
