"""HTTP decisions: ranges, preconditions, the plan of a response, media types. Pure functions."""
