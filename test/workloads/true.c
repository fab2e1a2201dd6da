// The shortest life of a process; linked statically, so that exec and exit are all it costs.
int main(void) { return 0; }
