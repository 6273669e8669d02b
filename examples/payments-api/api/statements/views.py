"""Statements: at once, as a stream; or as a file that a worker writes."""

from django.http import JsonResponse, StreamingHttpResponse
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response

from accounts.models import Account
from payments.session import caller

from .lines import HEADER, entries, line
from .tasks import statement_file

CHUNK = 50


async def statement(request, account):
    """The statement of one of the caller's accounts, streamed from a server-side cursor."""
    user = await caller(request)
    if user is None:
        return JsonResponse({"detail": "who are you?"}, status=401)
    if not await Account.objects.filter(pk=account, owner=user).aexists():
        return JsonResponse({"detail": "no such account of yours"}, status=404)
    return StreamingHttpResponse(_stream(account), content_type="text/csv")


async def _stream(account):
    yield HEADER
    async for entry in entries(account).aiterator(chunk_size=CHUNK):
        yield line(entry)


class StatementFile(GenericAPIView):
    """Orders a statement as a file."""

    def get_queryset(self):
        return Account.objects.filter(owner=self.request.user)

    lookup_url_kwarg = "account"

    def post(self, request, account):
        """Has a worker write it."""
        statement_file.delay(self.get_object().pk)
        return Response({"ordered": True}, status=202)
