"""TensorRT engines: built, cached, and wrapped as ONNX files that ONNX Runtime opens (docs/tensorrt.md).

`import tensorrt` in here means NVIDIA's library. Nothing in this package loads it before an engine is asked for.
"""
