"""How labels and annotations mark the alerts that share one fault."""

VITAL = "vital"
"""The label that names an alert's vital."""

SYMPTOM_OF = "symptom_of"
"""The annotation that names the vitals from which an alert may follow, by spaces."""

INHIBITOR = "PageInhibitor"
"""The alert that mutes a vital's page while its fault was paged already."""

NEAR_SECONDS = 600
"""How long after one page another that may share its cause is of the same fault."""
