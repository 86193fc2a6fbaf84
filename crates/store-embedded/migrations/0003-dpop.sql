-- The key that a request is tied to, if it is: the SHA-256 of its JWK (RFC 7638).

ALTER TABLE requests ADD COLUMN dpop_jkt TEXT;
