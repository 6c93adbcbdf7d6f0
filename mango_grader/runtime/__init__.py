"""What a sorting line installs: numpy, Pillow and onnxruntime; no torch, and nothing that opens a socket."""
