"""The report's sources, figures and tables → data/report/index.html and report.pdf, by Quarto or without it."""
