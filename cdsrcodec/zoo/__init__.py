"""Models that come from elsewhere: fetched, checked, made exact, and put where they are found."""
