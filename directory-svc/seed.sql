-- The three example companies, once.
INSERT INTO directory.businesses (name, description, tag, created_by)
SELECT name, description, tag, 0
  FROM (VALUES (1, 'Company 1', 'Short description ...', 'IT, Software'),
               (2, 'Company 2', 'Short description ...', 'Marketing'),
               (3, 'Company 3', 'Short description ...', 'Accounting')) AS seed (place, name, description, tag)
 WHERE NOT EXISTS (SELECT FROM directory.businesses AS there
                    WHERE there.name = seed.name AND there.tag = seed.tag AND there.created_by = 0)
 ORDER BY place;
