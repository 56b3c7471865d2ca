-- A session is journalled once, however often its token is signed out with: this is where it is looked for.
CREATE INDEX revocations_session ON auth.revocations (session_id) WHERE session_id IS NOT NULL;
