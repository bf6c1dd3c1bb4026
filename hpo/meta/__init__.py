"""Meta-learning: task families, recurrent cells, learners and the loop that trains them."""
