import { describe, expect, it } from "vitest";
import { safeUrl, splitUrl } from "./links";

describe("a safe address", () => {
  it.each(["https://example.org/a?b#c", "http://example.org/", "mailto:me@example.org"])("may be %s", (address) => {
    expect(safeUrl(address)).toBe(address);
  });

  it.each(["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//example.org", "/a", "#a", "ftp://a", "https://", ""])(
    "is never %j",
    (address) => {
      expect(safeUrl(address)).toBeNull();
    },
  );
});

describe("the host that is shown", () => {
  it.each([
    ["https://example.org/path?q", "example.org"],
    ["https://example.org:8443/", "example.org:8443"],
    ["https://bank.example@evil.example/bank.example", "evil.example"],
    ["https://evil.example:bank@evil.example/", "evil.example"],
    ["https://e:pw@e/e", "e"],
    ["mailto:me@example.org?subject=Hi", "me@example.org"],
  ])("of %s is %s", (address, host) => {
    const parts = splitUrl(safeUrl(address) ?? "");
    expect(parts.host).toBe(host);
    expect(parts.before + parts.host + parts.after).toBe(address);
  });

  it("betrays look-alike letters", () => {
    expect(splitUrl(safeUrl("https://аpple.com/") ?? "").host).toBe("xn--pple-43d.com");
  });
});
