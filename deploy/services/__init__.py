"""The servers that tests use: started by `make services`, stopped by `make services-stop`."""
