//! A model of the kernel, kept in a file.
