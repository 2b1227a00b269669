"""How a change is written: the protocol of one write, the queue, what proves an outcome, and what undoes a change."""
