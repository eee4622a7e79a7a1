"""Where Sitewise runs: the sample site, containers, dashboards and runbooks."""
