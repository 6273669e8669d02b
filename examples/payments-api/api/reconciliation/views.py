"""What the latest reconciliation found."""

from django.http import JsonResponse

from .models import Reconciliation


async def latest(request):
    """When it was made, of how many accounts, and how many differ; open to monitoring."""
    found = await Reconciliation.objects.order_by("-id").afirst()
    if found is None:
        return JsonResponse({"reconciled": False}, status=404)
    return JsonResponse(
        {"finished": found.finished, "accounts": found.accounts, "differences": len(found.differences)}
    )
