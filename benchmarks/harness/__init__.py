"""The side-by-side harness behind `overhead.py`: processes, servers, scenarios, measuring, reporting."""
