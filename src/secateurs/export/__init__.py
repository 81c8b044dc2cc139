"""Cut models for other programs: ONNX, torch.export programs, and folders that their own library reads."""

from secateurs.export._export import export
from secateurs.export._exported import Exported, Proof, Trial
from secateurs.export._pretrained import save_pretrained

__all__ = ["Exported", "Proof", "Trial", "export", "save_pretrained"]
