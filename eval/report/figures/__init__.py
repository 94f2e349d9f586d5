"""The report's figures: what each shows, drawn as SVG for the page and with matplotlib for papers."""
