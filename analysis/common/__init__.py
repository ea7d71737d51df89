"""What the commands share: networks and their options, figures, and HTML pages."""
