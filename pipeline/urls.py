"""One reading of URLs for every part: the address to fetch, and the key under which twins fold.

Follows the WHATWG URL standard where it matters for safety (spellings of IPv4, IDNA, backslashes,
control characters), so that no two parts ever disagree about which host a URL names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import unquote, urljoin

import idna

from pipeline.errors import InvalidUrl

MAXIMUM_LENGTH = 2_048
"""Characters of a URL in canonical form, counted as if it began with `https://`: so its key has no more."""

_REMEMBERED = 2_048  # URLs whose reading is kept: a site names the same ones on every page

DEFAULT_PORTS = {"http": 80, "https": 443}

_SPLIT = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.\-]*):(?P<slashes>/*)(?P<authority>[^/?#]*)"
    r"(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*:", re.IGNORECASE)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE | re.ASCII)
_PORT = re.compile(r":0*([0-9]{1,5})", re.ASCII)
_MAXIMUM_PORT = 65_535
_MAXIMUM_NAME = 253  # characters of a host name, RFC 1035
_IPV4_PARTS = 4
_MAXIMUM_BYTE = 255
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_UNSAFE_IN_PATH = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]")
_UNSAFE_IN_QUERY = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%\[\]|]")
_CONTROL = "".join(map(chr, range(0x21)))

_TRACKING = re.compile(
    r"utm_\w+|gclid|gclsrc|dclid|gbraid|wbraid|fbclid|msclkid|yclid|twclid|ttclid|li_fat_id|igshid|mc_[ce]id|_ga|_gl"
    r"|_hs(?:enc|mi)|hsctatracking|__hs\w+|mkt_tok|vero_\w+|oly_\w+_id|pk_\w+|piwik_\w+|mtm_\w+|matomo_\w+|wickedid"
    r"|s_cid|zanpid|epik|_openstat|srsltid",
    re.IGNORECASE,
)
_SESSION = re.compile(
    r"jsessionid|phpsessid|aspsessionid\w*|asp\.net_sessionid|cfid|cftoken|session_?id|sessid|zenid|oscsid|osclid",
    re.IGNORECASE,
)
_SESSION_SHORT = re.compile(r"(?:sid|s)=[0-9a-f]{16,}", re.IGNORECASE)
_SESSION_IN_PATH = re.compile(r";(?:jsessionid|phpsessid|sid)=[^/;?]*", re.IGNORECASE)
_SESSION_SEGMENT = re.compile(r"/\((?:[a-z]\([^()/]*\))+\)(?=/|$)", re.IGNORECASE)
_INDEX = re.compile(r"/(?:index\.(?:html?|php|xhtml|shtml|aspx?|jsp)|default\.(?:aspx?|html?))$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class UrlParts:
    """A canonical URL taken apart. `host` is lower case ASCII, IPv6 without brackets."""

    scheme: str
    host: str
    port: int
    path: str
    query: str | None

    @property
    def netloc(self) -> str:
        """Host, and the port when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def site(self) -> str:
        """The folded host and port, shared by all URLs of one site."""
        return _fold_netloc(self)

    @property
    def origin(self) -> str:
        """`https://host[:port]`, the unit robots.txt speaks for."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def target(self) -> str:
        """Path and query, as rules match them."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    def __str__(self) -> str:
        """The canonical URL."""
        return f"{self.origin}{self.target}"


def canonical(url: str, base: str | None = None) -> str:
    """The address to fetch: absolute, without fragment, as the site spells the rest.

    Args:
        url: What was typed or found; relative when there is a `base`.
        base: The canonical URL it was found on.

    Raises:
        InvalidUrl: If it is not an http or https address, names a user, or is over 2,048 characters.
    """
    return _canonical(_absolute(url, base))


def beginning(text: str) -> str:
    """The beginning of addresses, spelled as `canonical` spells them; a beginning of a host stays one.

    Raises:
        InvalidUrl: If no address begins so.
    """
    match = _SPLIT.fullmatch(text)
    if match is None or (not match["path"] and match["query"] is None):
        return text.lower()
    return f"{split(text)}{'?' if match['query'] == '' else ''}"


def split(url: str, base: str | None = None) -> UrlParts:
    """The parts of `canonical(url, base)`.

    Raises:
        InvalidUrl: As `canonical` does.
    """
    return _read(_absolute(url, base))


@lru_cache(maxsize=_REMEMBERED)
def url_key(url: str) -> str:
    """The key twins share: scheme, www, ports 80 and 443, index pages, trailing slash, tracking and sessions fold.

    The key is itself a URL, and its own key. It is never fetched.

    Raises:
        InvalidUrl: As `canonical` does.
    """
    parts = split(url)
    path = _fold_path(parts.path)
    query = _fold_query(parts.query)
    return f"https://{parts.site}{path}{query}"


def site_key(url: str) -> str:
    """What all URLs of one site share: the folded host and port.

    Raises:
        InvalidUrl: As `canonical` does.
    """
    return split(url).site


def _absolute(url: str, base: str | None) -> str:
    if len(url) > 4 * MAXIMUM_LENGTH:
        raise InvalidUrl(url=f"{url[:80]}…", problem=f"longer than {MAXIMUM_LENGTH} characters")
    text = _clean(url)
    return text if base is None else _join(text, base)


@lru_cache(maxsize=_REMEMBERED)
def _canonical(text: str) -> str:
    return str(_read(text))


@lru_cache(maxsize=_REMEMBERED)
def _read(text: str) -> UrlParts:
    match = _SPLIT.fullmatch(text)
    if match is None:
        raise InvalidUrl(url=text, problem=f"no scheme, as in https://{text.lstrip('/')[:80]}")
    scheme = match["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise InvalidUrl(url=text, problem=f"the scheme {scheme} is not http or https")
    host, port = _authority(match["authority"], scheme, text)
    query = match["query"]
    parts = UrlParts(
        scheme=scheme,
        host=host,
        port=port,
        path=_resolve_dots(_escape(match["path"], _UNSAFE_IN_PATH)) or "/",
        query=_escape(query, _UNSAFE_IN_QUERY) if query else None,
    )
    if len(str(parts)) - len(scheme) + len("https") > MAXIMUM_LENGTH:
        raise InvalidUrl(url=f"{text[:80]}…", problem=f"longer than {MAXIMUM_LENGTH} characters")
    return parts


def _clean(url: str) -> str:
    """White space around and line breaks inside go, and backslashes become slashes, as browsers do."""
    text = url.strip(_CONTROL).replace("\t", "").replace("\n", "").replace("\r", "")
    head, mark, tail = text.partition("#") if "#" in text else (text, "", "")
    if "\\" in head:
        front, question, query = head.partition("?")
        head = front.replace("\\", "/") + question + query
    return head + mark + tail


def _join(text: str, base: str) -> str:
    if _SCHEME.match(text) and "://" in text:
        return text
    try:
        return urljoin(base, text)
    except ValueError as error:
        raise InvalidUrl(url=text, problem=str(error)) from error


def _authority(authority: str, scheme: str, url: str) -> tuple[str, int]:
    if "@" in authority:
        raise InvalidUrl(url=url, problem="names a user")
    if authority.startswith("["):
        literal, bracket, rest = authority[1:].partition("]")
        host = _ipv6(literal, url) if bracket else ""
    else:
        name, colon, digits = authority.partition(":")
        host, rest = _host(name, url), colon + digits
    if not host:
        raise InvalidUrl(url=url, problem="no host")
    if rest in {"", ":"}:
        return host, DEFAULT_PORTS[scheme]
    port = _PORT.fullmatch(rest)
    if port is None or not 0 < int(port[1]) <= _MAXIMUM_PORT:
        raise InvalidUrl(url=url, problem=f"{rest.lstrip(':')} is not a port")
    return host, int(port[1])


def _ipv6(literal: str, url: str) -> str:
    try:
        return str(IPv6Address(literal)) if "%" not in literal else ""
    except AddressValueError as error:
        raise InvalidUrl(url=url, problem=f"{literal} is not an IPv6 address") from error


@lru_cache(maxsize=1_024)
def _host(name: str, url: str) -> str:
    decoded = unquote(name, errors="strict") if "%" in name and _is_utf8(name) else name
    host = decoded.lower()
    if not host.isascii():
        try:
            host = idna.encode(decoded, uts46=True).decode("ascii").lower()
        except (idna.IDNAError, UnicodeError):
            host = _mapped(decoded, url)
    host = host.removesuffix(".")
    if not host:
        return ""
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(labels, url)
    if len(host) > _MAXIMUM_NAME or not _NAME.fullmatch(host):
        raise InvalidUrl(url=url, problem=f"{name} is not a host name")
    return host


def _mapped(name: str, url: str) -> str:
    """Compatibility spellings of ASCII (circled digits, wide letters), which IDNA maps but then rejects."""
    try:
        mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidUrl(url=url, problem=f"{name} is not a host name") from error
    if not mapped.isascii():
        raise InvalidUrl(url=url, problem=f"{name} is not a host name")
    return mapped.lower()


def _is_utf8(name: str) -> bool:
    try:
        unquote(name, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def _ipv4(labels: list[str], url: str) -> str:
    """Every spelling browsers read as IPv4: short, decimal, octal, hexadecimal."""
    problem = f"{'.'.join(labels)} is not an IPv4 address"
    if len(labels) > _IPV4_PARTS:
        raise InvalidUrl(url=url, problem=problem)
    numbers = [_ipv4_number(label, problem, url) for label in labels]
    last = numbers.pop()
    if any(number > _MAXIMUM_BYTE for number in numbers) or last >= 256 ** (_IPV4_PARTS - len(numbers)):
        raise InvalidUrl(url=url, problem=problem)
    for position, number in enumerate(numbers):
        last += number * 256 ** (3 - position)
    return str(IPv4Address(last))


def _ipv4_number(label: str, problem: str, url: str) -> int:
    try:
        if label[:2] in {"0x", "0X"}:
            return int(label[2:] or "0", 16)
        if len(label) > 1 and label.startswith("0"):
            return int(label, 8)
        return int(label)
    except ValueError as error:
        raise InvalidUrl(url=url, problem=problem) from error


def _escape(text: str, unsafe: re.Pattern[str]) -> str:
    return unsafe.sub(_percent, text) if unsafe.search(text) else text


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "replace"))


def _resolve_dots(path: str) -> str:
    """Remove `.` and `..` segments, percent-encoded ones too."""
    if "/." not in path and "%2" not in path:
        return path if path.startswith("/") or not path else f"/{path}"
    kept: list[str] = []
    segments = path.split("/")[1:] if path.startswith("/") else path.split("/")
    for position, segment in enumerate(segments):
        dots = segment.lower().replace("%2e", ".")
        if dots == "..":
            del kept[-1:]
        elif dots != ".":
            kept.append(segment)
            continue
        if position == len(segments) - 1:
            kept.append("")
    return "/" + "/".join(kept)


def _fold_netloc(parts: UrlParts) -> str:
    host = parts.host
    while host.startswith("www.") and "." in host[4:] and host[4] != "-":  # no name begins so: the key is a URL too
        host = host[4:]
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in {80, 443} else f"{host}:{parts.port}"


def _normal_escapes(text: str) -> str:
    """Escapes in upper case, and none where none is needed."""
    return _ESCAPE.sub(_normal_escape, text) if "%" in text else text


def _normal_escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _fold_path(path: str) -> str:
    """Fold until nothing changes: a folded path may end in another index page."""
    folded = _normal_escapes(path)
    while True:
        before = folded
        folded = _SESSION_SEGMENT.sub("", _SESSION_IN_PATH.sub("", folded))
        folded = _resolve_dots(folded)
        folded = _INDEX.sub("/", folded).rstrip("/")
        if folded == before:
            return folded or "/"


def _fold_query(query: str | None) -> str:
    if not query:
        return ""
    kept = []
    for pair in query.split("&"):
        normal = _normal_escapes(pair)
        name = normal.partition("=")[0]
        if not normal or _TRACKING.fullmatch(name) or _SESSION.fullmatch(name) or _SESSION_SHORT.fullmatch(normal):
            continue
        kept.append(normal)
    kept.sort(key=lambda pair: pair.partition("=")[0])
    return "?" + "&".join(kept) if kept else ""
