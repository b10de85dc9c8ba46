"""What is made of samples and times: figures, findings, the table, the picture."""
