"""TwiML: ``document`` reads it, ``fetch`` gets it, ``script`` runs it for a call."""
