//! The command line as a person or a script meets it: the binary, run on simulated kernels.

mod exits;
mod json;
mod lab;
mod lock;
mod streams;
mod verbs;
