#!/bin/sh
# Provision a customer with curl, from nothing to an answer. Run it again within a day: nothing is made twice.
#
#   SITEWISE_SERVER=http://127.0.0.1:8000 SITEWISE_KEY=sw_partner_… sh provision.sh cus_42 https://www.example.com/
#
# Needs curl, and python3 to read and write JSON (or put jq in its place).
set -eu
customer=$1 website=$2

# field PATH: what stands there in the JSON that comes in, such as items.0.id; nothing where there is nothing
field() {
    python3 -c '
import json, sys
found = json.load(sys.stdin)
for part in sys.argv[1].split("."):
    found = (found[int(part)] if found else "") if isinstance(found, list) else found[part] if found else ""
print(found)' "$1"
}

# object JSON NAME VALUE...: this object with these texts in it, whatever they hold
object() {
    python3 -c '
import json, sys
print(json.dumps(json.loads(sys.argv[1]) | dict(zip(sys.argv[2::2], sys.argv[3::2]))))' "$@"
}

# escaped TEXT: as it may stand in an address
escaped() {
    python3 -c '
import sys, urllib.parse
print(urllib.parse.quote(sys.argv[1], safe=""))' "$1"
}

# A name for the customer that any header takes: the same at every run
mark=$(python3 -c 'import sys, uuid; print(uuid.uuid5(uuid.NAMESPACE_OID, sys.argv[1]))' "$customer")

# ask METHOD PATH KEY [BODY [IDEMPOTENCY-KEY]]: the answer's body; fails on 4xx and 5xx, asks again while the server is busy
ask() {
    if [ $# -gt 3 ]; then
        curl --silent --show-error --fail-with-body --retry 5 --retry-max-time 60 \
            --request "$1" "$SITEWISE_SERVER$2" --header "Authorization: Bearer $3" \
            --header 'Content-Type: application/json' --header "Idempotency-Key: ${5:-$mark $2}" --data "$4"
    else
        curl --silent --show-error --fail-with-body --retry 5 --retry-max-time 60 \
            --request "$1" "$SITEWISE_SERVER$2" --header "Authorization: Bearer $3"
    fi
}

# 1. The org: found by the name you have for the customer, else made
org=$(ask GET "/partner/v1/orgs?external_id=$(escaped "$customer")" "$SITEWISE_KEY" | field items.0.id)
if [ -z "$org" ]; then
    org=$(ask POST /partner/v1/orgs "$SITEWISE_KEY" "$(object '{}' name "$customer" external_id "$customer")" | field id)
fi

# 2. Its key: shown this once, and again to the same Idempotency-Key for a day
key=$(ask POST "/partner/v1/orgs/$org/api-keys" "$SITEWISE_KEY" '{"name": "provisioning"}' | field api_key)

# 3. Its website, which is crawled at once
site=$(ask POST /crawl "$key" "$(object '{"page_limit": 100}' url "$website")" | field id)

# 4. Until the crawl has ended
while :; do
    status=$(ask GET "/crawl/$site/crawls?limit=1" "$key" | field items.0.status)
    case $status in completed | failed | cancelled) break ;; esac
    sleep "${LOOK_EVERY:-2}"
done

# 5. How to behave, always and when a question means it
ask POST /training "$key" \
    '{"title": "Tone of voice", "content": "Answer in short, friendly sentences.", "type": "BEHAVIORAL"}' \
    "$mark tone" >/dev/null
ask POST /training "$key" \
    '{"title": "Refunds", "content": "Ask for the order number first.", "triggers": ["I want my money back"]}' \
    "$mark refunds" >/dev/null

# 6. What an AI responder is told
ask POST /retrieve "$key" '{"message": "Can I send it back and get my money?", "channel": "email"}'
