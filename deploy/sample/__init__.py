"""The sample site: a made-up company's website to crawl, ask and measure, served from this folder."""
