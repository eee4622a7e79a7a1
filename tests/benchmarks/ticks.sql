-- Rows for the benchmark of the tick: an installation in its stride. %(sites)s websites of as many orgs, %(pages)s pages.
-- Ids come from numbers by MD5, so that rows find each other without being read, and are spread like random ones.

-- orgs
INSERT INTO orgs (id, name, language, ai_instructions, integrations, turn, crawl_turn, created_at, updated_at)
SELECT md5('org' || (n))::uuid, 'org ' || n, 'en', '', '{}', n, n, now(), now() FROM generate_series(1, %(sites)s) n;

-- datasources
INSERT INTO datasources (id, org_id, url, url_key, display_name, status, include_paths, exclude_paths, sitemap_urls,
    subdomains, extra_hosts, crawl_interval_hours, render_js, documents, next_crawl_at, last_crawl_completed_at,
    created_at, updated_at)
SELECT md5('site' || (n))::uuid, md5('org' || (n))::uuid, 'https://site' || n || '.example/', 'https://site' || n || '.example/',
    'Site ' || n, 'active', '[]', '[]', '[]', false, '[]', 24, 'never', false,
    now() + (n %% 1440) * interval '1 minute' + interval '1 minute', now() - interval '1 hour', now(), now()
FROM generate_series(1, %(sites)s) n;

-- a dozen crawls of each
INSERT INTO crawls (id, org_id, datasource_id, status, trigger, total_pages, waiting_pages, fetched_pages, new_pages,
    updated_pages, unchanged_pages, removed_pages, refused_pages, failed_pages, held_pages, limit_reached,
    cancel_requested, attempts, hints, scraped_at, started_at, completed_at, created_at, updated_at)
SELECT md5('crawl' || (n || '.' || day))::uuid, md5('org' || (n))::uuid, md5('site' || (n))::uuid, 'completed', 'schedule', %(each)s, 0,
    %(each)s, 0, 3, %(each)s - 3, 0, 0, 0, 0, false, false, 0, 1, at, at, at, at, at
FROM generate_series(1, %(sites)s) n, generate_series(1, 12) day,
    LATERAL (SELECT now() - day * interval '1 day' + (n %% 1440) * interval '1 minute' AS at) t;

-- crawls that run
INSERT INTO crawls (id, org_id, datasource_id, status, trigger, total_pages, waiting_pages, fetched_pages, new_pages,
    updated_pages, unchanged_pages, removed_pages, refused_pages, failed_pages, held_pages, limit_reached,
    cancel_requested, attempts, hints, lease_token, lease_until, started_at, created_at, updated_at)
SELECT md5('crawl' || (n || '.now'))::uuid, md5('org' || (n))::uuid, md5('site' || (n))::uuid, 'scraping', 'schedule', %(each)s, 10,
    0, 0, 0, 0, 0, 0, 0, 0, false, false, 1, 1, gen_random_uuid(), now() + interval '1 hour', now(), now(), now()
FROM generate_series(1, %(sites)s / 100) n;

-- pages
INSERT INTO pages (id, org_id, datasource_id, url, url_key, title, language, status, reason, excluded, live_version,
    text_hash, fact_hash, etag, http_status, depth, fetched_at, changed_at, next_fetch_at, body_hash, created_at,
    updated_at)
SELECT md5('page' || (n))::uuid, md5('org' || (1 + n %% %(sites)s))::uuid, md5('site' || (1 + n %% %(sites)s))::uuid,
    'https://site' || (1 + n %% %(sites)s) || '.example/help/an-article-about-something-' || n,
    'https://site' || (1 + n %% %(sites)s) || '.example/help/an-article-about-something-' || n,
    'An article about something ' || n, 'en', 'synced', 'synced', false, md5('version' || (n))::uuid,
    md5('text' || n) || md5('t' || n), md5('fact' || n) || md5('f' || n), '"' || md5('etag' || n) || '"', 200, 2,
    at, at, at + interval '2 days', md5('body' || n) || md5('b' || n), at, at
FROM generate_series(1, %(pages)s) n, LATERAL (SELECT now() - (n %% 86400) * interval '1 second' AS at) t;

-- page versions
INSERT INTO page_versions (id, page_id, org_id, datasource_id, crawl_id, number, state, title, language, markdown,
    text_hash, fact_hash, body_sha256, extractor, dropped, left_out, chunk_count, embedded_count, attempts, hints,
    fetched_at, indexed_at, created_at)
SELECT md5('version' || (n))::uuid, md5('page' || (n))::uuid, md5('org' || (1 + n %% %(sites)s))::uuid,
    md5('site' || (1 + n %% %(sites)s))::uuid, md5('crawl' || ((1 + n %% %(sites)s) || '.1'))::uuid, 1, 'indexed',
    'An article about something ' || n, 'en', %(text)s, md5('text' || n) || md5('t' || n),
    md5('fact' || n) || md5('f' || n), md5('body' || n) || md5('b' || n), 'extractor', '[]', '[]', 4, 4, 0, 1, at, at, at
FROM generate_series(1, %(pages)s) n, LATERAL (SELECT now() - (n %% 86400) * interval '1 second' AS at) t;

-- chunks
INSERT INTO chunks (id, org_id, page_id, datasource_id, model, heading_path, text, text_hash, tokens, stored, touched_at)
SELECT md5('chunk' || (n || '.' || place))::uuid, md5('org' || (1 + n %% %(sites)s))::uuid, md5('page' || (n))::uuid,
    md5('site' || (1 + n %% %(sites)s))::uuid, 'all-MiniLM-L6-v2', '["Help"]', repeat('What a chunk says. ', 10),
    md5('chunk' || n || place) || md5('c' || n || place), 200, true, now() - (n %% 86400) * interval '1 second'
FROM generate_series(1, %(pages)s) n, generate_series(1, 4) place;

-- version chunks
INSERT INTO version_chunks (version_id, position, chunk_id, start, "end")
SELECT md5('version' || (n))::uuid, place - 1, md5('chunk' || (n || '.' || place))::uuid, place * 800, place * 800 + 799
FROM generate_series(1, %(pages)s) n, generate_series(1, 4) place;

-- frontiers of the last crawls
INSERT INTO frontier (crawl_id, url_key, url, depth, is_new, state, attempts, outcome, reason, http_status, seen_at)
SELECT md5('crawl' || ((1 + n %% %(sites)s) || '.1'))::uuid,
    'https://site' || (1 + n %% %(sites)s) || '.example/help/an-article-about-something-' || n,
    'https://site' || (1 + n %% %(sites)s) || '.example/help/an-article-about-something-' || n, 2, false, 'done', 1,
    'unchanged', 'unchanged', 304, now()
FROM generate_series(1, %(pages)s) n;

-- waiting
INSERT INTO page_versions (id, page_id, org_id, datasource_id, crawl_id, number, state, title, language, markdown,
    text_hash, fact_hash, body_sha256, extractor, dropped, left_out, chunk_count, embedded_count, attempts, hints,
    hint_at, fetched_at, created_at)
SELECT md5('waiting' || (n))::uuid, md5('page' || (n))::uuid, md5('org' || (1 + n %% %(sites)s))::uuid,
    md5('site' || (1 + n %% %(sites)s))::uuid, NULL, 2, 'waiting', 'A title', 'en', %(text)s, 'new', 'new', 'new',
    'extractor', '[]', '[]', 0, 0, 0, 1, now() + interval '1 minute', now(), now()
FROM generate_series(1, %(pages)s) n WHERE n %% %(sites)s >= %(sites)s - %(orgs)s AND n <= 10 * %(sites)s;
