"""Writes a page down as it stands in the browser, with what its components keep in open shadow trees."""

from __future__ import annotations

from playwright.async_api import Page

_WITH_SHADOWS = """() => {
  const isVoid = new Set("area base br col embed hr img input link meta source track wbr".split(" "));
  const isRaw = new Set("script style noscript iframe".split(" "));
  const escape = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const shown = element => {
    if (element.shadowRoot) return element.shadowRoot.childNodes;
    const given = element.localName === "slot" ? element.assignedNodes() : [];
    return given.length ? given : element.childNodes;
  };
  const write = node => {
    if (node.nodeType === Node.TEXT_NODE) return escape(node.data);
    if (node.nodeType !== Node.ELEMENT_NODE) return "";
    const name = node.localName;
    const attributes = [...node.attributes].map(one => ` ${one.name}="${escape(one.value).replace(/"/g, "&quot;")}"`);
    const opening = `<${name}${attributes.join("")}>`;
    if (isVoid.has(name)) return opening;
    const inside = isRaw.has(name) ? node.textContent : [...shown(node)].map(write).join("");
    return `${opening}${inside}</${name}>`;
  };
  const hasShadows = [...document.querySelectorAll("*")].some(element => element.shadowRoot);
  return hasShadows ? "<!DOCTYPE html>" + write(document.documentElement) : null;
}"""


async def written(page: Page) -> str:
    """The page's HTML; a component's shadow tree stands in the place of its children, as it is shown."""
    html: object = await page.evaluate(_WITH_SHADOWS)
    return html if isinstance(html, str) else await page.content()
