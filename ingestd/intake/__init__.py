"""Between the folder and the program: what lies there, when it is complete, and where it goes afterwards."""
