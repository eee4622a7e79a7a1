"""Four pages of a shop as sites write them, to be edited: facts in every place, and noise in every other."""

from __future__ import annotations

_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} | Nordlicht</title>
<meta name="csrf-token" content="dGhpcyBpcyBvbmUgdG9rZW4"><meta name="description" content="{title}.">
<meta property="og:updated_time" content="2026-03-01T08:00:00Z">
<link rel="stylesheet" href="/assets/site.css?v=1a2b3c4d">
<link rel="preload" href="/assets/app.9f8e7d.js" as="script">
<script nonce="r4nd0m">window.__state={{"session":"5f2c","rendered":1772352000}};</script>
{facts}</head><body class="theme-a exp-b" data-request="7c9e6679">
<header class="site-header"><a href="/">Nordlicht</a><div class="promo-bar">Free returns this week: code MARCH10</div>
<nav class="main-nav"><a href="/pricing">Pricing</a> <a href="/help">Help</a> <a href="/cart">Cart (0)</a>
</nav></header>
<nav class="breadcrumb"><a href="/">Home</a> / <a href="/all">All</a></nav>
<main id="content" class="content variant-1">"""
_FOOT = """</main>
<aside class="sidebar"><h3>Popular today</h3><ul><li><a href="/a">Seven lamps for small rooms</a></li>
<li><a href="/b">Which bulb fits which lamp</a></li><li><a href="/c">How we test a dimmer</a></li></ul>
<p class="visitors">1,204 visitors online</p></aside>
<section class="related"><h2>You may also like</h2><ul class="cards"><li>
<a href="/p/1">Lamp Alba</a> <span>$49.00</span></li>
<li><a href="/p/2">Lamp Boreas</a> <span>$59.00</span></li><li>
<a href="/p/3">Lamp Corona</a> <span>$69.00</span></li></ul></section>
<div class="newsletter"><form><input type="hidden" name="token" value="a1b2c3d4"><label>Get our letter</label>
</form></div>
<div class="cookie-banner">We use 14 cookies. <button>Accept</button></div>
<footer class="site-footer"><p>\u00a9 2026 Nordlicht Ltd. All rights reserved.</p>
<p>Page generated in 0.083 seconds.</p>
<p>Request ID: 7c9e6679-7425-40de-944b-e07fc1f90ae7</p></footer>
<script>track("view", 5512, Date.now());</script><!-- served by web-07 at 12:04:55 --></body></html>"""


def _page(title: str, main: str, facts: str = "") -> str:
    return _HEAD.format(title=title, facts=facts) + main + _FOOT


PRICING = _page(
    "Plans and prices",
    """<h1>Plans and prices</h1>
<p class="byline">By Ada Olsen \u00b7 <span class="views">3,481 views</span> \u00b7 Updated 3 hours ago</p>
<p>Every plan includes support on weekdays. The free trial lasts 14 days and needs no credit card. Prices do
not include tax.</p>
<table><thead><tr><th>Plan</th><th>Price a month</th><th>Seats</th><th>Storage</th></tr></thead><tbody>
<tr><td>Starter</td><td>$9</td><td>3</td><td>10 GB</td></tr>
<tr><td>Team</td><td>$29</td><td>15</td><td>200 GB</td></tr>
<tr><td>Company</td><td>$99</td><td>unlimited</td><td>2 TB</td></tr></tbody></table>
<h2>What each plan includes</h2>
<ul><li>Starter: email support within 48 hours</li><li>Team: chat support within 4 hours</li>
<li>Company: a phone line, 24 hours a day</li><li>10,000 views a month on every plan</li></ul>
<h2>Paying by the year</h2>
<p>Whoever pays by the year saves 20%. The yearly price of Team is $278.40, due on 1 April. You can cancel
until 30 days before.</p>
<p>Students pay half. Resellers are not eligible for discounts.</p>
<div class="cards"><div class="card"><h3>Starter</h3><p class="price">$9 a month</p>
<p>For one shop with at most 3 people.</p></div>
<div class="card"><h3>Team</h3><p class="price">$29 a month</p><p>For several shops with at most 15 people.</p>
</div></div>
<dl><dt>Overage</dt><dd>$0.05 for each further GB</dd><dt>Refunds</dt><dd>within 60 days of purchase</dd></dl>""",
)

PRODUCT = _page(
    "Lamp Aurora",
    """<div class="product"><h1>Lamp Aurora</h1><div class="buy-box">
<span class="price" itemprop="price">$129.00</span>
<span class="stock">In stock, ships in 2 days</span><button class="add">Add to cart</button></div>
<div class="description"><p>Aurora is a floor lamp of oiled oak, 152 cm high, that weighs 6.4 kg. Its cable is
2.5 m long and its
shade 40 cm wide. It takes E27 bulbs up to 60 W and is not suitable for bathrooms.</p>
<p>The frame has a warranty of 5 years, the shade of 2 years. Made in Norway since 2011.</p></div>
<table class="specs"><tr><th>Height</th><td>152 cm</td></tr><tr><th>Weight</th><td>6.4 kg</td></tr><tr>
<th>Voltage</th><td>230 V</td></tr>
<tr><th>Article number</th><td>NL-4821-07</td></tr><tr><th>Energy class</th><td>E</td></tr></table>
<details><summary>Shipping and returns</summary>
<p>Shipping costs $7.50 within the country and $19 abroad. Returns are free for 30 days.</p></details>
<div class="rating"><span>4.7 out of 5</span> <span class="count">212 reviews</span></div></div>""",
    """<script type="application/ld+json">{"@context":"https://schema.org","@type":"Product","name":"Lamp
Aurora","sku":"NL-4821-07",
"gtin13":"4006381333931","offers":{"@type":"Offer","price":"129.00","priceCurrency":"USD","availability":"https://schema.org/InStock"},
"dateModified":"2026-03-01T08:00:00Z"}</script>""",
)

HELP = _page(
    "Resetting your password",
    """<article><h1>Resetting your password</h1><p class="meta">Last updated: 2026-03-01 08:14 UTC</p>
<p>You can reset the password on the sign-in page. The link we send is valid for 45 minutes and works only once.</p>
<h2>If no message arrives</h2>
<ol><li>Look into the spam folder.</li><li>Wait 10 minutes.</li>
<li>Call us at +47 22 13 55 00 between 9:00 and 17:30.</li></ol>
<p>Accounts are locked after 5 wrong attempts. An administrator can unlock them; members cannot.</p>
<h2>Passwords that we accept</h2>
<p>A password has at least 12 characters. It must not contain your name. We do not expire passwords.</p>
<pre><code>nordctl reset --user ada --timeout 45 --port 8443</code></pre>
<blockquote><p>Version 4.2.1 or newer of the app is required.</p></blockquote>
<h2>Questions</h2>
<div class="faq"><div class="accordion"><button aria-controls="p1" aria-expanded="false">Can I use a passkey?</button>
<div id="p1" hidden><p>Yes, on iOS 17 and Android 14. Passkeys are stored for 400 days.</p></div></div></div>
<p class="feedback">148 people found this helpful</p></article>""",
    """<script type="application/ld+json">{"@context":"https://schema.org","@type":"FAQPage","mainEntity":[{"@type":"Question",
"name":"Is there a fee?","acceptedAnswer":{"@type":"Answer","text":"Resetting a password is free, three times a
month."}}]}</script>""",
)

CONTACT = _page(
    "Visit us",
    """<h1>Visit us</h1><p>Our shop is at 14 Storgata, 0155 Oslo, on the second floor. Parking costs 40 kroner
an hour.</p>
<table class="hours"><tr><th>Monday to Friday</th><td>9:00\u201318:00</td></tr><tr><th>Saturday</th>
<td>10:00\u201316:00</td></tr>
<tr><th>Sunday</th><td>closed</td></tr></table>
<p>On public holidays we are closed, except on 17 May, when we open at noon.</p>
<p>Write to shop@nordlicht.example, fax 22 13 55 01. Our VAT number is NO 987 654 321 MVA.</p>
<p>Dogs are welcome. Groups of more than 8 people need an appointment.</p>
<h2>Our stores</h2><ul><li>Oslo: 420 square metres</li><li>Bergen: 310 square metres</li>
<li>Troms\u00f8: opens in June 2027</li></ul>""",
)

PAGES = {"pricing": PRICING, "product": PRODUCT, "help": HELP, "contact": CONTACT}
