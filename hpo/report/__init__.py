"""What people look at: figures and notes of studies and trials, and the dashboard that shows them."""
