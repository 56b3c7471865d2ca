-- A function in SQL is planned anew by each statement that calls it, which took longer than all the rest of finding an
-- account; this language plans once a connection.
CREATE OR REPLACE FUNCTION auth.roles_in_force(names text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM auth.roles WHERE retired_at IS NOT NULL) OR COALESCE(names, '') = '' THEN
        RETURN names;
    END IF;
    RETURN (SELECT COALESCE(string_agg(name, ',' ORDER BY name COLLATE "C"), '')
            FROM unnest(string_to_array(names, ',')) AS name
            WHERE name NOT IN (SELECT r.name FROM auth.roles AS r WHERE r.retired_at IS NOT NULL));
END $$;
