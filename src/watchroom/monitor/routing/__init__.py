"""Routes, inhibition and silences: which receivers an alert may reach."""
