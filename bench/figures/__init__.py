"""Evaluation of samples and times: figures, findings, the table, the picture."""
