"""Cut a network while a plain PyTorch loop trains it: half of its multiply-adds, over four cuts.

python examples/plain_loop.py
"""

import torch
import torch.nn.functional as F

import secateurs as sec

torch.manual_seed(0)
model = sec.models.build("resnet8", width=0.5)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)

images, labels = torch.randn(96, 3, 16, 16), torch.randint(10, (96,))  # your data
before = sec.cost(model, args=(images[:1],))
pruner = sec.callbacks.IterativePruner(args=(images[:1],), remove={"macs": 0.5}, cuts=4, every=2)

for step in range(12):
    batch = torch.arange(8) + 8 * step
    loss = F.cross_entropy(model(images[batch]), labels[batch])
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    scheduler.step()
    result = pruner.step(model, optimizer)  # momentum of what stays, stays
    if result is not None:
        print(f"step {step}: {result.plan.cost.macs:,} multiply-adds, {result.report}")

after = sec.cost(model, args=(images[:1],))
print(f"removed {1 - after.macs / before.macs:.1%} of {before.macs:,} multiply-adds")
sec.save(model, "small.safetensors")
