"""From a question to a briefing: candidates, live rows, scenarios, prompt."""
