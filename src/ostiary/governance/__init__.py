"""Who answers for it: the registrar, declarations, tool pins and approvals."""
