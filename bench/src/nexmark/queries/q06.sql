SELECT seller, AVG(price) AS avg_price
FROM (
    SELECT seller, price, ROW_NUMBER() OVER (PARTITION BY seller ORDER BY expires DESC, id DESC) AS recency
    FROM (
        SELECT A.id, A.seller, A.expires, MAX(B.price) AS price
        FROM auction AS A, bid AS B
        WHERE A.id = B.auction AND B.`dateTime` BETWEEN A.`dateTime` AND A.expires
        GROUP BY A.id, A.seller, A.expires
    )
)
WHERE recency <= 10
GROUP BY seller
