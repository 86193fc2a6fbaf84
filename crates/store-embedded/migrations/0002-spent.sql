-- Not only sign-in trips are good once: also client assertions and DPoP proofs, which have a letter of their own.

ALTER TABLE attempts RENAME TO spent;

UPDATE spent SET id = 'A#' || id;
