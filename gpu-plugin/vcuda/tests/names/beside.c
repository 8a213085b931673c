int stacked(void) { return 2; }
