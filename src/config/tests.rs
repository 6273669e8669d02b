//! The loader as its users meet it: files in, a configuration or the exact mistakes out.
