"""Where everything is."""

from django.urls import path

from accounts import views as accounts
from reconciliation import views as reconciliation
from statements import views as statements
from transfers import views as transfers

urlpatterns = [
    path("health/", accounts.health),
    path("reference/", accounts.reference),
    path("accounts/", accounts.AccountList.as_view()),
    path("accounts/<int:account>/", accounts.AccountDetail.as_view()),
    path("accounts/<int:account>/statement/", statements.statement),
    path("accounts/<int:account>/statement-file/", statements.StatementFile.as_view()),
    path("transfers/", transfers.Transfers.as_view()),
    path("reconciliation/", reconciliation.latest),
]
